-- Custom SQL migration file, put your code below! --
CREATE TABLE "orders" ("id" serial PRIMARY KEY)
--> statement-breakpoint
CREATE INDEX ON "orders" ("id")
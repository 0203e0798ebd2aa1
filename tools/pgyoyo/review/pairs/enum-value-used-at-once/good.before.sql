ALTER TYPE mood ADD VALUE 'merry';

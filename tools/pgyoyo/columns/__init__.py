"""A column in use gets another type or another name: the migrations of the way there, as files to read and change."""

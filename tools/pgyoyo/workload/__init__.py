"""The statements that an application sends: collected, and kept in a file."""

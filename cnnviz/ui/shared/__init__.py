"""Parts shared by pages: page header, URL state, model picker, model and image input, run data."""

"""The pages: one thin file each. They read choices, call cnnviz and lay out."""

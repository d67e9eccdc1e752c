"""Pages of the app: one thin file each, which reads the state, calls cnnviz and lays out."""

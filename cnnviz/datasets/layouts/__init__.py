"""How the user's own data can lie: one file a layout, each giving a `Source`."""

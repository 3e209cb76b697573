"""The Postgres endpoint that holds client sessions."""

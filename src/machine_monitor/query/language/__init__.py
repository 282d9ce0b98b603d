"""What a query string means: its grammar, its values, its search terms, its cursors."""

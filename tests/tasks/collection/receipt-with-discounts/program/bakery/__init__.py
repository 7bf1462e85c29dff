"""A bakery's receipts."""

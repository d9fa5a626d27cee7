"""Portal: a customer-support desk that a company runs itself."""

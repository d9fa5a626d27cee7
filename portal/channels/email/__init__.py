"""E-mail: taken by IMAP, SMTP and LMTP, read, written, handed over."""

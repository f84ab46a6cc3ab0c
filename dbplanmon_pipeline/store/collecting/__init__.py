"""What collections leave behind and find again."""

"""What is normal for each statement, how far it strays while all is well, and how both are learnt and kept."""

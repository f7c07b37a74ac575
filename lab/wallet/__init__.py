"""The sample wallet: stands for servers whose own logic cannot be changed."""

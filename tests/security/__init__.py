"""What an attacker would try, item by item; README.md here says which test shows what."""

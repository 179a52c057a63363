"""What an attacker would try, item by item; the README says which test shows what."""

"""Write analyses as folders, pictures and reports; save them to reopen later."""

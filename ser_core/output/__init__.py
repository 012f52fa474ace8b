"""What an analysis becomes outside the program: folders, pictures, reports, saved analyses."""

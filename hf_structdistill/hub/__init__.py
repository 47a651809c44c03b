"""What goes to the Hub: folders of data sets and students, with their cards."""

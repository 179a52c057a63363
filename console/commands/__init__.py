"""The commands and their options; what they do stands in the modules beside this folder, and is imported when it is wanted."""

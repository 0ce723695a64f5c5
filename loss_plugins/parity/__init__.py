"""Are our dialects equal to the built-ins of the installed frameworks?"""

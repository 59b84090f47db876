"""The exercises of the pages, one file a page; page_0 is the tool kit's. check.py finds them by their ids."""

"""The exercises of the homeworks: homework_4.py has those of homework 4, the longer ones in files of their own."""

"""The live loop and the window under measurement: a screen and a clocked camera of their own, and the program for both."""

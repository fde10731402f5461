"""The kinds of pictures: each turns an answer of the public face into a figure."""

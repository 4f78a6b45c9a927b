//! What is sent, to the letter; how a place is chosen, and what is said of it.

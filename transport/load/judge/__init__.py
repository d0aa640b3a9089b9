"""The history of a run, and the judge: did the chat server keep its promises in this run?"""

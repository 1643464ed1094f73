"""`q-store dashboard`: a page in the browser that shows a run while it trains, or after it ended.

It is a process of its own that reads what the training writes into the folder of the run and, where somebody presses a
button, writes down what they want there; so whatever happens to the page, the training is not slowed and not harmed.
"""

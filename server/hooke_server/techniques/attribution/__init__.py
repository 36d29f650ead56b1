"""Why a model answers as it does.

    Question (model, inputs, targets, places)  ->  a method  ->  Answer for each place

A method is a pure generator that asks the question's functions and never sees a request.
`explaining` runs the methods of a request and turns their answers into frames.
"""

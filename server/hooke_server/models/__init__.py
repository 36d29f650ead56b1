"""What a model is: a functional graph whose places are layers, and probes cut from it."""

"""The page that trains models: the queue of trainings, their curves, the models, and the comparison before one is used."""

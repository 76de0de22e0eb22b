"""The list of entries on the Data page: its rows with small pictures, and what can be done with those that are selected."""

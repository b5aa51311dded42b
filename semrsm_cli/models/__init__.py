"""Networks: loaded by source and name, their layers captured as concept vectors."""

"""Text, tables and charts as markup that stands alone; knows nothing of runs."""

"""A grid's tables as pandas and DuckDB read them: names, types and values. python test_tables.py FOLDER"""

import sys

import duckdb
import pandas

folder = sys.argv[1]
parquet = f"{folder}/summary.parquet"
columns = ["n", "name", "rate", "status", "seconds", "cell", "error", "output"]

frame = pandas.read_parquet(parquet)
assert list(frame.columns) == columns, frame.columns
assert [str(frame.dtypes[name]) for name in ("n", "rate", "seconds")] == ["int32", "float64", "float64"], frame.dtypes
assert list(frame["n"]) == [1, 2, 3]
assert list(frame["name"]) == ["a,b é"] * 3
assert list(frame["status"]) == ["completed", "failed", "completed"]
assert list(frame["error"].isna()) == [True, False, True]
assert frame["error"][1] == 'Error: bad, "point"'

text = pandas.read_csv(f"{folder}/summary.csv")
assert list(text.columns) == columns
for name in ("n", "name", "rate", "status", "output"):
    assert list(text[name]) == list(frame[name]), name

table = duckdb.sql(f"SELECT * FROM '{parquet}'")
types = dict(zip(table.columns, map(str, table.types)))
assert [types[name] for name in columns] == ["INTEGER", "VARCHAR", "DOUBLE", "VARCHAR", "DOUBLE"] + ["VARCHAR"] * 3, types
best = f"SELECT n, rate * n FROM '{parquet}' WHERE status = 'completed' ORDER BY n DESC"
assert duckdb.sql(best).fetchall() == [(3, 1.5), (1, 0.5)]
print("- pandas and DuckDB read the tables with their types")

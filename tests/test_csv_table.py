"""CSV files become typed columns; every complaint names the file and the line."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanx.csv_table import CsvError, open_csv, place_of, read_table


@pytest.fixture
def table(tmp_path):
    def read(text, **options):
        path = tmp_path / "data.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path, **options)

    return read


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"], 2),
        ("1,2\n3,4\n", ["x0", "x1"], 2),
        ("M,0.4\nF,0.3\n", ["x0", "x1"], 2),  # a number in the first row: no header
        ("size,kind\n1,u\n2,v\n", ["size", "kind"], 2),
        ("p,x\np,s\ne,x\n", ["x0", "x1"], 3),  # text alone, first row comes back below
        ("cap,odour\np,s\ne,x\n", ["cap", "odour"], 2),
        (",a\n0,1\n1,2\n", ["x0", "a"], 2),  # the nameless index that pandas writes
        ("a,b\n,\n\n1,2\n", ["a", "b"], 1),  # rows without any entry are skipped
    ],
)
def test_headers_are_found(table, text, names, rows):
    found = table(text)
    assert list(found.columns) == names
    assert found.n_rows == rows


def test_the_header_can_be_said(table):
    assert list(table("1,2\n3,4\n", header="yes").columns) == ["1", "2"]
    assert table("a,b\nc,d\n", header="no").n_rows == 2
    with pytest.raises(ValueError, match="'maybe'"):
        table("a,b\n1,2\n", header="maybe")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_quotes_and_excel_marks(table, delimiter):
    text = delimiter.join(["a", '"b, ""c"""']) + "\r\n" + delimiter.join(["1", " 2 "]) + "\r\n"
    columns = table(b"\xef\xbb\xbf" + text.encode()).columns
    assert list(columns) == ["a", 'b, "c"']
    assert [float(v[0]) for v in columns.values()] == [1, 2]


def test_missing_entries_in_numbers_and_text(table):
    columns = table("a,b\n1,u\n?,?\n,v\nNA,nan\n2,u\n").columns
    np.testing.assert_array_equal(columns["a"], [1, np.nan, np.nan, np.nan, 2])
    assert columns["b"].tolist() == ["u", None, "v", None, "u"]


def test_a_column_of_codes_stays_text_where_asked(table):
    assert table("a,b\n1,5\n2,6\n", categorical=["a"]).columns["a"].tolist() == ["1", "2"]
    assert table("a,b\n1,5\n2,6\n", categorical=[1]).columns["b"].tolist() == ["5", "6"]
    with pytest.raises(CsvError, match="no column 'c'; the 2 columns are a, b"):
        table("a,b\n1,5\n", categorical=["c"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "has a header but no rows"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, but the rows before have 2"),
        ("a,b\n1,2\n3,4\nx,5\n6,7\n", "line 4: column 'a' is numeric but holds 'x'"),
        ("a,b\n1,2\n-inf,3\n", "line 3: column 'a' holds the infinite value '-inf'"),
        ("a,b\n1,2\n1e999,3\n", "line 3: column 'a' holds the infinite value '1e999'"),
        ("a,b,a\n1,2,3\n", r"column names must differ, but \['a'\] appear more than once"),
        (b"a,b\n\xff\xfe,1\n", "is not UTF-8 text"),
        ('a,b\n"1"x,2\n', "line 2: not valid CSV"),
        ('a,b\n1,"2\n', "line 2: not valid CSV"),
    ],
)
def test_bad_files_are_named_with_the_line(table, text, message):
    with pytest.raises(CsvError, match=message):
        table(text)


def test_lines_are_counted_across_quoted_line_ends(table):
    with pytest.raises(CsvError, match="line 5: column 'b'"):
        table('a,b\n"u\nv",1\nw,2\nw,oops\n')


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(CsvError, match=r"there is no file .*none\.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(CsvError, match="is a folder"):
        read_table(tmp_path)


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileNotFoundError), open_csv(tmp_path / "a.csv"):
        raise FileNotFoundError("another file")


def test_columns_are_found_by_name_before_position():
    names = ["b", "1", "c"]
    assert [place_of(names, wanted) for wanted in ("c", "1", "0", 2, "-1")] == [2, 1, 0, 2, 2]
    with pytest.raises(CsvError, match="no column '3'"):
        place_of(names, "3")


def test_chunks_hold_all_rows_in_order(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f"{k},u\n" for k in range(1000)))
    with open_csv(path) as reader:
        chunks = list(reader.chunks(300))
    assert [len(chunk.cells) for chunk in chunks] == [300, 300, 300, 100]
    assert [int(cell) for chunk in chunks for cell in chunk.column(0)] == list(range(1000))
    assert chunks[-1].lines[-1] == 1001


text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    words=st.lists(text, min_size=20, max_size=20),
)
def test_what_csv_writes_is_read_back(tmp_path_factory, values, words):
    file = io.StringIO()
    rows = list(zip(values, words, strict=False))
    csv.writer(file).writerows([("number", "word"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    columns = read_table(path, header="yes", categorical=["word"]).columns
    np.testing.assert_array_equal(columns["number"], values)
    kept = [word.strip() for _, word in rows]
    missing = {"", "?", "na", "n/a", "nan", "null"}
    assert columns["word"].tolist() == [None if w.lower() in missing else w for w in kept]

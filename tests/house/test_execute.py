"""The tool that runs the notebooks: what it keeps of an output, what it removes, what it measures."""

import execute
import nbformat.v4 as nb
import pytest


def test_progress_bars_go_and_warnings_stay():
    text = "\r  0%|          | 0/9 [00:00<?, ?it/s]\r100%|██████| 9/9 [00:01<00:00, 8.9it/s]\nUserWarning: look here\n"
    assert execute.without_progress(text) == "UserWarning: look here"
    assert execute.without_progress("\r12it [00:00, 99it/s]\n") == ""


def test_clean_keeps_what_a_reader_can_use():
    view = {execute.WIDGET_VIEW: {"model_id": "x"}}
    figure = nb.new_output("display_data", {**view, "text/html": "<div>", "text/plain": "words"})
    slider = nb.new_output("display_data", {**view, "text/plain": "interactive(…)"})
    bar = nb.new_output("stream", name="stderr", text=" 10%|█ | 1/9 [00:00<?, ?it/s]")
    text = nb.new_output("stream", name="stdout", text="42\n")
    times = {"execution": {"iopub.status.idle": "12:00"}}
    cell = nb.new_code_cell("x", outputs=[figure, slider, bar, text], metadata=times)
    notebook = nb.new_notebook(cells=[cell], metadata={"widgets": {}, "minigpt": {"number": "9.9"}})
    execute.clean(notebook)
    assert [output.output_type for output in cell.outputs] == ["display_data", "stream"]
    assert set(cell.outputs[0].data) == {"text/html", "text/plain"}
    assert "widgets" not in notebook.metadata and notebook.metadata.minigpt.number == "9.9"
    assert "execution" not in cell.metadata


def test_a_run_is_measured(tmp_path):
    notebook = nb.new_notebook(cells=[nb.new_markdown_cell("# t"), nb.new_code_cell(
        "import time; block = b'x' * 300_000_000; time.sleep(0.3); del block; print(6 * 7)")])
    measured = execute.run(tmp_path / "a.ipynb", notebook)
    assert notebook.cells[1].outputs[0].text == "42\n"
    assert notebook.cells[1].execution_count == 1
    assert 300 < measured["peak_mb"] < 900  # the block, and the kernel around it
    assert 0 <= measured["seconds"] < 60 and measured["cores"] >= 1
    assert measured["code"] == execute.code_hash(notebook)


def test_a_failing_cell_is_an_error(tmp_path):
    notebook = nb.new_notebook(cells=[nb.new_code_cell("1 / 0")])
    with pytest.raises(execute.CellExecutionError, match="ZeroDivisionError"):
        execute.run(tmp_path / "a.ipynb", notebook)

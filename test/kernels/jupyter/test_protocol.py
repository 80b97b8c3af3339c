"""jupyter_kernel_test against the installed kernel.

Run it in a virtual environment with jupyter_kernel_test, after `npx modalscope kernel install --sys-prefix`:
python test/kernels/jupyter/test_protocol.py
(By path, not as a module of unittest: Python has a package `test` of its own.)
"""

import unittest

from jupyter_kernel_test import KernelTests


class ModalscopeKernel(KernelTests):
    kernel_name = "modalscope"
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = "console.log('hello, world');"
    code_stderr = "console.error('to stderr');"
    code_page_something = ""  # The kernel has no pager: Jupyter's own inspector shows documentation.
    code_generate_error = "throw new Error('on purpose');"
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": "[1, 'a']", "result": "[ 1, 'a' ]"},
    ]
    code_display_data = [
        {
            "code": "globalThis[Symbol.for('modalscope.display')].display({ 'text/html': '<b>x</b>' });",
            "mime": "text/html",
        }
    ]
    code_history_pattern = "6 ? 7*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "Math.max"
    code_clear_output = "globalThis[Symbol.for('modalscope.display')].clear(false);"
    completion_samples = [
        {"text": "consol", "matches": {"console"}},
        {"text": "Math.ma", "matches": {"max"}},
    ]
    complete_code_samples = ["1 + 1", "for (const x of [1]) { x; }", "`a`"]
    incomplete_code_samples = ["for (const x of [1]) {", "`open", "f(", "/* open"]
    invalid_code_samples = ["const = 3;", "f(a))", "'open"]


del KernelTests

if __name__ == "__main__":
    unittest.main()

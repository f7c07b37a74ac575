"""The one way a verb fails: an exit code and a sentence."""

from controller.cli.exit_codes import ExitCode


class CliError(Exception):
    """One clear sentence that names thing, value and next step."""

    def __init__(self, code: ExitCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

"""The one way a verb fails: an exit code and a sentence."""

from controller.cli.exit_codes import ExitCode


class CliError(Exception):
    """One clear sentence that names thing, value and next step."""

    def __init__(self, code: ExitCode, sentence: str, *, status: int = 0) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status  # of HTTP, where a daemon has answered with it
        self.sentence = sentence

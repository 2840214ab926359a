"""An exported folder on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from cifar_tune.errors import ExportError

INSTALL = "pip install huggingface-hub"


def check_hub() -> None:
    """Returns if huggingface_hub is installed and knows who is asking. Raises ExportError otherwise."""
    try:
        from huggingface_hub import get_token
    except ImportError:
        raise ExportError(f"--push-to-hub needs huggingface_hub, which is not installed: {INSTALL}") from None
    if get_token() is None:
        raise ExportError("--push-to-hub needs a token of the Hugging Face hub: run `hf auth login`, or set HF_TOKEN")


def push(folder: Path, repository: str) -> str:
    """Uploads the folder in one commit, making the repository if there is none; returns the repository's address.

    Raises:
        ExportError: the hub cannot be reached, or refuses; the folder stays as it is.
    """
    check_hub()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # Of the library that it sends by: httpx2, earlier httpx or requests.
    sending_error: type[Exception] = HfHubHTTPError.__bases__[0]
    api = HfApi()
    later = f"once that is mended, `hf upload {repository} {folder}` does it"
    try:
        address = api.create_repo(repository, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository, commit_message=f"{folder.name}, by cifar_tune")
    except OfflineModeIsEnabled:
        raise ExportError(f"{folder} was not pushed: HF_HUB_OFFLINE is set; {later}") from None
    except (HfHubHTTPError, ValueError) as error:  # a name that is none, and a card that the hub finds wrong
        raise ExportError(f"{folder} was not pushed: the hub refuses {repository}: {error}; {later}") from None
    except (OSError, sending_error, RuntimeError) as error:  # an upload that fails on its way
        cause = f" {error.__cause__}" if error.__cause__ else ""
        raise ExportError(f"{folder} was not pushed: the hub cannot be reached: {error}{cause}; {later}") from None
    return str(address)

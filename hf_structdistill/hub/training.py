"""`trainer.push_to_hub()` and the hub strategies: the same files and card as `structdistill publish student`."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, HfApi
from transformers.trainer_utils import HubStrategy
from transformers.utils import PushInProgress

from ..errors import InputError
from .commit import CARD
from .session import sign_in
from .students import publish_student, select_student_files

logger = logging.getLogger(__name__)


class PushesToHub:
    """Mixin before `Trainer`: one commit with the student's own files; a new repository is private.

    `hub_private_repo=False` in the arguments opens a new repository. Checkpoints, with optimizer and heads, are
    uploaded only by the strategies that ask for them, `"checkpoint"` and `"all_checkpoints"`.
    """

    args: Any
    state: Any
    hub_model_id: str | None

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Create the repository, private where nothing else is said.

        Raises:
            InputError: no token that may write; said before a training, not after it.
        """
        if self.is_world_process_zero():  # type: ignore[attr-defined]
            sign_in(token if token is not None else self.args.hub_token)
        if private is None and self.args.hub_private_repo is None:
            private = True
        super().init_hf_repo(token=token, private=private)  # type: ignore[misc]

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo | Future[CommitInfo] | None:
        """Save the student and its card, and publish both; arguments as those of `Trainer.push_to_hub`.

        Returns:
            the commit (the present one, where nothing changed), or with `blocking=False` its future; None on other
            processes than the first.
        """
        trainer: Any = self
        trainer.callback_handler.on_push_begin(self.args, self.state, trainer.control)
        token = token if token is not None else self.args.hub_token
        if self.hub_model_id is None:
            self.init_hf_repo(token=token, private=private)
        trainer.save_model(_internal_call=True)
        if not trainer.is_world_process_zero():
            return None
        kwargs.setdefault("model_name", str(self.hub_model_id).rsplit("/", 1)[-1])
        trainer.create_model_card(**kwargs)
        trainer._finish_current_push()
        api = sign_in(token)
        folder = self.args.output_dir
        pushed = self._publish_in_background(api, folder, commit_message, revision or self.args.hub_revision)
        return pushed.result() if blocking else pushed

    def _publish_in_background(
        self, api: HfApi, folder: str, message: str | None, revision: str | None
    ) -> Future[CommitInfo]:
        def publish() -> CommitInfo:
            done = publish_student(folder, str(self.hub_model_id), api, message=message, revision=revision)
            assert done.commit is not None
            return done.commit

        return api.run_as_future(publish)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Called after each save: the student as it is now, and the checkpoint where the strategy asks for it."""
        trainer: Any = self
        if not trainer.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        under_way = trainer.push_in_progress is not None and not trainer.push_in_progress.is_done()
        if under_way and not self.args.hub_always_push:
            return
        trainer.callback_handler.on_push_begin(self.args, self.state, trainer.control)
        try:
            jobs = self._push_jobs(checkpoint_folder)
        except InputError as error:  # a training must not end because of its uploads
            logger.warning("The checkpoint was not pushed: %s", error)
            return
        if under_way:
            trainer.push_in_progress.jobs.extend(jobs)
        else:
            trainer.push_in_progress = PushInProgress(jobs)

    def _push_jobs(self, checkpoint_folder: str) -> list[Any]:
        # copied, as Trainer does: the checkpoint may be rotated away while its upload is under way. SFTTrainer has
        # written the card before the checkpoint.
        for name, path in select_student_files(checkpoint_folder).files.items():
            if name != CARD:
                target = Path(self.args.output_dir, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        message = f"Training in progress, step {self.state.global_step}"
        api = sign_in(self.args.hub_token)
        jobs: list[Any] = [self._publish_in_background(api, self.args.output_dir, message, self.args.hub_revision)]
        if self.args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            last = self.args.hub_strategy == HubStrategy.CHECKPOINT
            jobs.append(
                api.upload_folder(
                    repo_id=str(self.hub_model_id),
                    folder_path=checkpoint_folder,
                    path_in_repo="last-checkpoint" if last else os.path.basename(checkpoint_folder),
                    commit_message=f"{message}, checkpoint",
                    run_as_future=True,
                    revision=self.args.hub_revision,
                )
            )
        return jobs

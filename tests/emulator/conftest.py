"""Stories with the emulator in process, in virtual time."""

from __future__ import annotations

import pytest
from emulator_user import User

from q_store.emulator import Emulator, run_virtual


@pytest.fixture
def story():
    """Run an async function with a user of a new emulator, in virtual time; its result and the ledger."""

    def run(function, http=None, **options):
        emulator = Emulator(**options)

        async def main():
            user = User(emulator, **(http or {}))
            async with user.http:
                return await function(user)

        return run_virtual(main()), emulator.ledger()

    return run

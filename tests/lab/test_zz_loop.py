import pytest
from tests.lab.system import System
from tests.lab.test_silent_cut import test_dc2_is_cut_off_and_its_provider_s_clients_have_none as t
pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
@pytest.mark.parametrize("n", range(14))
async def test_loop(system: System, n: int) -> None:
    await t(system)

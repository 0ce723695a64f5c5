"""What is known of other packages' losses: where each is, how it is called, which of ours equals it. Imports none."""

from .calls import LossCall as LossCall
from .lookups import audited as audited
from .lookups import compared as compared
from .lookups import find as find
from .lookups import timed as timed
from .packages import FRAMEWORKS as FRAMEWORKS
from .packages import framework_versions as framework_versions
from .packages import installed as installed
from .uses import EXACT as EXACT
from .uses import Audited as Audited
from .uses import Compared as Compared
from .uses import Timed as Timed
from .uses import Tolerance as Tolerance

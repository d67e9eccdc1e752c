"""Every channel of a layer in one crisp mosaic, one map enlarged, and what a pointed-at cell sees.

The values themselves are sent, so that the pointer reads them off, the colours follow the theme and the tiles
fill whatever width there is, all without asking the server again.
"""

from cnnviz.ui.components.mosaic.mount import feature_mosaic
from cnnviz.ui.components.mosaic.payload import MosaicView, mosaic_packet

__all__ = ["MosaicView", "feature_mosaic", "mosaic_packet"]

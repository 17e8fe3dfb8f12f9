/* A resolver for tests, in the place of the C library's. */
#pragma once

/* What the host `database.test` stands for: addresses in their order, parted by commas. NULL: what
 * the environment's ADDRESSES lists. Other names are what they are. */
extern const char *made_up_addresses;

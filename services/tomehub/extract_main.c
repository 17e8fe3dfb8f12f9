/* tomehub-extract: what the server starts for each file, and nothing else of the server, so that it
 * starts fast and has little to be misused; see extract/extractor.h. */
#include "extract/extractor.h"

int main(const int argc, char **const argv)
{
    /* The arguments are those of `tomehub extract`. */
    return argc < 2 ? TOME_EXTRACT_EXIT_USAGE : tome_extract_main(argc - 1, argv + 1);
}

/*
 * Preloaded: names under ".hangs.invalid" are looked up for ever, as with a
 * name server that never answers.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int (*Lookup) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	static const char hangs[] = ".hangs.invalid";
	size_t		length = name != NULL ? strlen(name) : 0;

	while (length >= sizeof(hangs) - 1 && strcmp(name + length - (sizeof(hangs) - 1), hangs) == 0)
		pause();
	return ((Lookup) dlsym(RTLD_NEXT, "getaddrinfo")) (name, service, hints, result);
}

/*-------------------------------------------------------------------------
 *
 * datacenter.h
 *	  Braze's instances, and the REST endpoint of each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DATACENTER_H
#define BRAZE_DATACENTER_H

/* "US-01, US-02, ..." */
extern char *braze_datacenter_names(void);

/*
 * These write the URL of a REST endpoint into result.  They return NULL, or a
 * sentence that says which values are valid.
 */
extern const char *braze_datacenter_parse(const char *value, char **result);
extern const char *braze_datacenter_parse_endpoint(const char *value, char **result);

#endif							/* BRAZE_DATACENTER_H */

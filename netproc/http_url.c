/*
 * http_url.c - see http_state.h: whom a URL names, and where a reply may point.
 *
 * URLs come from torrents and from servers.  They are read by libcurl and by
 * nobody else, so that what is dialled is what it asks for.
 */
#include "http_state.h"

const char *http_url_scheme(CURLU *url, bool *https)
{
	char *s = NULL;
	const char *bad = NULL;

	if (curl_url_get(url, CURLUPART_SCHEME, &s, 0) != CURLUE_OK)
		return "no scheme";
	*https = strcmp(s, "https") == 0;
	if (!*https && strcmp(s, "http") != 0)
		bad = "neither http nor https";
	curl_free(s);
	return bad;
}

bool http_url_target(CURLU *url, char host[HOST_MAX], uint16_t *port)
{
	char *h = NULL, *p = NULL;
	size_t n;
	bool ok = false;

	if (curl_url_get(url, CURLUPART_HOST, &h, 0) == CURLUE_OK && curl_url_get(url, CURLUPART_PORT, &p, CURLU_DEFAULT_PORT) == CURLUE_OK) {
		const char *name = h;

		n = strlen(name);
		if (n > 2 && name[0] == '[' && name[n - 1] == ']') {
			name++;
			n -= 2;
		}
		if (n > 0 && n < HOST_MAX && strlen(p) <= 5) {
			memcpy(host, name, n);
			host[n] = 0;
			*port = (uint16_t)strtoul(p, NULL, 10);
			ok = *port != 0;
		}
	}
	curl_free(h);
	curl_free(p);
	return ok;
}

const char *http_url_follow(struct http_get *g)
{
	char *location = NULL;
	bool https = false;
	const char *bad;
	CURLU *url;

	if (curl_easy_getinfo(g->easy, CURLINFO_REDIRECT_URL, &location) != CURLE_OK || !location)
		return "it points nowhere";
	if (g->hops == HTTP_REDIRECTS)
		return "too many redirects";
	if (strlen(location) >= HTTP_URL_MAX)
		return "the URL is too long";
	url = curl_url();
	if (!url || curl_url_set(url, CURLUPART_URL, location, 0) != CURLUE_OK) {
		curl_url_cleanup(url);
		return "not a URL that we follow";
	}
	bad = http_url_scheme(url, &https);
	if (!bad && g->https && !https)
		bad = "from https to http";
	if (bad) {
		curl_url_cleanup(url);
		return bad;
	}
	/* A server names no credentials for us to send elsewhere. */
	curl_url_set(url, CURLUPART_USER, NULL, 0);
	curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
	http_curl_drop(g);
	curl_url_cleanup(g->url);
	g->url = url;
	g->https = https;
	g->hops++;
	return NULL;
}

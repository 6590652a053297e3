"""Routes; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from registry.api import artifacts, attachments, uploads

VERSION = "namespaces/<str:namespace>/models/<str:name>/versions/<int:number>"

urlpatterns: list[URLPattern] = [
    path("namespaces/<str:namespace>/uploads", uploads.NamespaceUploads.as_view(), name="uploads"),
    path("uploads/<uuid:id>", uploads.OneUpload.as_view(), name="upload"),
    path("uploads/<uuid:id>/parts", uploads.UploadParts.as_view(), name="upload-parts"),
    path("uploads/<uuid:id>/complete", uploads.UploadComplete.as_view(), name="upload-complete"),
    path(
        "uploads/<uuid:id>/files/<int:index>/content", uploads.UploadContent.as_view(), name="upload-content"
    ),
    path("uploads/<uuid:id>/abort", uploads.UploadAbort.as_view(), name="upload-abort"),
    path(f"{VERSION}/manifest", artifacts.VersionManifest.as_view(), name="version-manifest"),
    path(f"{VERSION}/artifacts", artifacts.VersionArtifacts.as_view(), name="version-artifacts"),
    path(f"{VERSION}/artifacts/<path:path>", artifacts.VersionArtifact.as_view(), name="version-artifact"),
    path(f"{VERSION}/attachments", attachments.VersionAttachments.as_view(), name="version-attachments"),
    path("attachments/<uuid:id>/content", attachments.AttachmentContent.as_view(), name="attachment-content"),
    path(f"{VERSION}/verify", artifacts.VersionVerify.as_view(), name="version-verify"),
    path(f"{VERSION}/scan", artifacts.VersionScan.as_view(), name="version-scan"),
]
